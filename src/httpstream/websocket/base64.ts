/**
 * Standard padded base64 (RFC 4648, section 4), in pieces. Line ends are skipped, as Go's decoder does.
 *
 * Node's own decoder takes anything and skips what it does not know, which would turn garbage into input.
 */
export class Base64Decoder {
  #carry = '';
  #padded = false;

  /**
   * @param last whether the text ends here
   * @returns the bytes of all groups completed, or undefined when the text is not base64; use it no further then
   */
  push(text: Uint8Array, last: boolean): Uint8Array | undefined {
    const chars =
      this.#carry +
      Buffer.from(text.buffer, text.byteOffset, text.length)
        .toString('latin1')
        .replace(/[\r\n]/g, '');
    const whole = chars.length - (chars.length % 4);
    this.#carry = chars.slice(whole);
    if (last && this.#carry !== '') return undefined;
    const groups = chars.slice(0, whole);
    if (groups === '') return new Uint8Array(0);
    if (this.#padded || !/^[A-Za-z0-9+/]*(?:==?)?$/.test(groups)) return undefined;
    this.#padded = groups.endsWith('=');
    return Buffer.from(groups, 'base64');
  }
}
