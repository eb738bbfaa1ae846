import Metronome from '@metronome/sdk';

/** The error that the official client throws for a call that is refused. */
export async function failure(call: PromiseLike<unknown>): Promise<InstanceType<typeof Metronome.APIError>> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Metronome.APIError) return error;
    throw error;
  }
  throw new Error('the call should have been refused');
}

/** What the refusal says. */
export async function refusal(call: PromiseLike<unknown>): Promise<string> {
  const { status, error } = await failure(call);
  const { message } = error as { message: string };
  return `${status ?? ''} ${message}`;
}
