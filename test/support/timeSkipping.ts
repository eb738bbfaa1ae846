import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import Long from 'long';

const POLL_TIMEOUT =
  proto.temporal.api.enums.v1.FastForwardPollingResult.FAST_FORWARD_POLLING_RESULT_POLL_TIMEOUT;

/**
 * Moves one workflow's virtual time to `target` (epoch ms), running everything that falls due on the way, with the
 * native time skipping of the server. Returns when the target is reached or the workflow has ended.
 */
export async function fastForward(client: Client, workflowId: string, target: number): Promise<void> {
  const service = client.workflowService;
  const { namespace } = client.options;
  const workflowExecution = { workflowId };
  const seconds = Math.ceil((target - (await virtualNow(client, workflowId))) / 1000);
  if (seconds <= 0) return;
  const fastForwardId = `to-${String(target)}`;
  await service.updateWorkflowExecutionOptions({
    namespace,
    workflowExecution,
    workflowExecutionOptions: {
      timeSkippingConfig: {
        enabled: true,
        fastForwardConfig: { id: fastForwardId, duration: { seconds: Long.fromNumber(seconds), nanos: 0 } },
      },
    },
    updateMask: { paths: ['time_skipping_config'] },
  });
  for (;;) {
    const polled = await service.pollWorkflowExecutionTimeSkipping({
      namespace,
      workflowExecution,
      fastForwardId,
    });
    // A number here, its name only in the message's JSON form.
    if (polled.fastForwardPollingResult !== POLL_TIMEOUT) return;
  }
}

/** The workflow's own time: wall time until it was first moved. */
export async function virtualNow(client: Client, workflowId: string): Promise<number> {
  const described = await client.workflowService.describeWorkflowExecution({
    namespace: client.options.namespace,
    execution: { workflowId },
  });
  const current = described.workflowExtendedInfo?.timeSkippingInfo?.currentTime;
  if (current?.seconds === undefined || current.seconds === null) return Date.now();
  return Number(current.seconds) * 1000 + Math.floor((current.nanos ?? 0) / 1_000_000);
}
