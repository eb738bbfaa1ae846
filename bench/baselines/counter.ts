import { condition, continueAsNew, defineSignal, setHandler, workflowInfo } from '@temporalio/workflow';

export const eventSignal = defineSignal<[string]>('event');
export const stopSignal = defineSignal('stop');

const EVENTS_A_RUN = 2000;

/** The obvious design: a workflow that is told of every event. Returns how many there were. */
export async function counter(before: number): Promise<number> {
  let count = 0;
  const told = { stop: false };
  setHandler(eventSignal, () => {
    count += 1;
  });
  setHandler(stopSignal, () => {
    told.stop = true;
  });
  await condition(() => told.stop || count >= EVENTS_A_RUN || workflowInfo().continueAsNewSuggested);
  if (told.stop) return before + count;
  return continueAsNew<typeof counter>(before + count);
}
