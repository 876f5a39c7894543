import { expect, it } from "vitest";
import { Rate } from "../../extension/panels/rate.ts";

it("a rate is that of the last seconds, and falls to nothing when nothing happens any more", () => {
  const rate = new Rate();
  expect(rate.at(0)).toBeNull();
  rate.add(0, 0);
  expect(rate.at(300)).toBeNull();
  for (let second = 1; second <= 20; second++) rate.add(second * 1_000, second * 100);
  expect(rate.at(20_000)).toBe(100);
  expect(rate.at(22_500)).toBeCloseTo(60, 5);
  expect(rate.at(24_000)).toBeCloseTo(20, 5);
  expect(rate.at(25_000)).toBe(0);
  expect(rate.at(60_000)).toBe(0);
  rate.add(61_000, 2_100);
  expect(rate.at(61_000)).toBe(20);
});
