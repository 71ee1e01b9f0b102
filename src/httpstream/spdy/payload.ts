/** Payload of the DATA frames that are made, at most, in bytes. Go peers allocate a frame's whole length at once. */
export const DATA_FRAME_BYTES = 64 * 1024;

/** Deals chunks out to DATA frames: few chunks share a frame, a long one is cut into views. */
export function splitPayload(chunks: readonly Uint8Array[]): Uint8Array[][] {
  const frames: Uint8Array[][] = [];
  let frame: Uint8Array[] = [];
  let room = 0;
  for (const chunk of chunks) {
    let rest = chunk;
    while (rest.length > 0) {
      if (room === 0) {
        frame = [];
        frames.push(frame);
        room = DATA_FRAME_BYTES;
      }
      const piece = rest.subarray(0, room);
      frame.push(piece);
      room -= piece.length;
      rest = rest.subarray(piece.length);
    }
  }
  return frames;
}
