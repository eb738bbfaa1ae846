/** The command line, or the file it names, can't be used as given. Shown as it is, without a stack. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}
