import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { writtenTogether } from "../../runtime/transport/ssh/writtenTogether.ts";

function recorder(): { stream: Duplex; handedOn: string[] } {
  const handedOn: string[] = [];
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => (handedOn.push(chunk.toString()), done()),
    writev: (parts, done) => (handedOn.push(parts.map(({ chunk }) => String(chunk)).join("+")), done()),
  });
  return { stream: writtenTogether(stream), handedOn };
}

test("what is written in one turn is handed on in one go, and what comes later for itself", async () => {
  const { stream, handedOn } = recorder();
  for (const part of ["length", "packet", "tag"]) stream.write(part);
  expect(handedOn).toEqual([]);
  await new Promise(setImmediate);
  stream.write("next");
  await new Promise(setImmediate);
  expect(handedOn).toEqual(["length+packet+tag", "next"]);
});

test("what is written before an end is written, and its callbacks are called", async () => {
  const { stream, handedOn } = recorder();
  await new Promise<void>((resolve) => {
    stream.write("last", () => resolve());
    stream.end();
  });
  expect(handedOn).toEqual(["last"]);
});
