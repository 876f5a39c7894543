import type { LogPlace } from "./messages/logs.ts";

/** How far the log of a run was read, on each node. */
export type LogPosition = LogPlace[];

/** The position behind `place`. Files that it does not name stay where they were. */
export function advance(position: LogPosition, place: LogPlace | undefined): LogPosition {
  if (!place) return position;
  const before = position.find(({ node }) => node === place.node);
  const after = { node: place.node, files: { ...before?.files, ...place.files } };
  return [...position.filter(({ node }) => node !== place.node), after];
}

/** How far the files of one node were read. */
export function onNode(position: LogPosition, node: number): Record<string, number> {
  return position.find((each) => each.node === node)?.files ?? {};
}
