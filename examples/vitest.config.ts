import { defineConfig } from "vitest/config";

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: tests/live/test_component.py starts the servers`);
  return value;
}

export default defineConfig({
  test: {
    include: ["tests/*.test.{ts,tsx}"],
    testTimeout: 60_000,
    provide: {
      slowUrl: given("VOZTAXI_SLOW_URL"),
      strictUrl: given("VOZTAXI_STRICT_URL"),
      token: given("VOZTAXI_TOKEN"),
      otherToken: given("VOZTAXI_OTHER_TOKEN"),
      oldToken: given("VOZTAXI_OLD_TOKEN"),
    },
  },
});
