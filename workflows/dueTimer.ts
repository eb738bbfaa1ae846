import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';

/**
 * The one pending timer of a workflow: it runs to the next due instant and is left alone by everything that
 * doesn't change that instant, so a signal costs no timer.
 */
export class DueTimer {
  #at: number | null = null;
  #fired = false;
  #scope: CancellationScope | null = null;

  /** Whether the instant that was armed last has come. */
  get fired(): boolean {
    return this.#fired;
  }

  /** Runs to `at` (epoch ms, wall time); null for no timer. Arming the instant that is armed does nothing. */
  arm(at: number | null, summary: string): void {
    if (at === this.#at) return;
    this.#scope?.cancel();
    this.#scope = null;
    this.#at = at;
    this.#fired = false;
    if (at === null) return;
    const scope = new CancellationScope();
    this.#scope = scope;
    const waiting = scope.run(() => sleep(Math.max(at - Date.now(), 1), { summary }));
    void waiting.then(
      () => {
        if (this.#scope === scope) this.#fired = true;
      },
      (error: unknown) => {
        if (!isCancellation(error)) throw error;
      },
    );
  }
}
