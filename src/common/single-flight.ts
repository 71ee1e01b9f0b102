/** Work that is under way once at a time: who asks for it meanwhile shares its end. */
export class SingleFlight<T> {
  readonly #work: () => Promise<T>;
  #underWay: Promise<T> | undefined;

  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  /** @throws what the work throws, to all who wait for it; the next call begins anew */
  run(): Promise<T> {
    this.#underWay ??= this.#work().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  /** Waits until nothing is under way. Never rejects. */
  async settled(): Promise<void> {
    await this.#underWay?.catch(() => {});
  }
}
