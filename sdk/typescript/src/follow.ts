// Asks Check about a device, then follows Watch, and says of each of its verdicts: node dist/src/follow.js IDENTITY DEVICE

import { createClient } from "@connectrpc/connect";
import { TrustService, Verdict } from "../gen/wardein/v1/trust_pb.js";
import { transport } from "./identity.js";
import { watch } from "./watch.js";

const [identity, deviceId] = process.argv.slice(2);
if (identity === undefined || deviceId === undefined) {
  console.error("usage: follow.js IDENTITY DEVICE");
  process.exit(2);
}
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
process.once("SIGINT", () => stop.abort());

const client = createClient(TrustService, transport(identity));
const checked = await client.check({ subject: { case: "deviceId", value: deviceId } });
console.log(`check: ${deviceId}: ${Verdict[checked.verdict]}`);
for await (const event of watch(client, stop.signal)) {
  switch (event.kind) {
    case "snapshot":
    case "change":
      for (const { verdict } of event.devices.filter((each) => each.deviceId === deviceId)) {
        console.log(`${event.kind}: ${deviceId}: ${Verdict[verdict]}`);
      }
      break;
    case "current":
      console.log("current");
      break;
    case "interrupted":
      console.log(`interrupted: ${event.reason}`);
  }
}
