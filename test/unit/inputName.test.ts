import { expect, test } from "vitest";
import { inputName } from "../../runtime/inputs/inputName.ts";

test.each([
  ["urls.jsonl", "/home/me/urls.jsonl"],
  ["../gen.ts#pages", "/home/gen.ts#pages"],
  ["/data/urls.csv", "/data/urls.csv"],
  ["glob:images/**/*.png", "glob:/home/me/images/**/*.png"],
  ["-", "-"],
  ["x".repeat(5_000), undefined],
])("the input %s is on record under a name that means the same in every folder", (given, name) => {
  expect(inputName(given, "/home/me")).toBe(name);
});
