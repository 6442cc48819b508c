import { expect, test } from "vitest";
import { networkOf } from "../../edge/network-of.ts";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:DB8:1:2::6", "2001:db8:1:2"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["::1", "0:0:0:0"],
  ["::", "0:0:0:0"],
  ["1::2:3:4:5:6:7", "1:0:2:3"],
])("the network of %s is %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});
