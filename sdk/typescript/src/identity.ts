// The directory of an identity, as `wardein operator issue` makes it (deploy/OPERATORS.md, "The files of an identity").

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

/** gRPC to the authority as the operator of that directory. A call takes ten seconds at most, if it names no other bound. */
export function transport(directory: string): Transport {
  const read = (name: string): string => readFileSync(join(directory, name), "utf8");
  const described: unknown = JSON.parse(read("operator.json"));
  if (typeof described !== "object" || described === null || !("endpoint" in described) || typeof described.endpoint !== "string") {
    throw new Error(`${join(directory, "operator.json")} does not say where the authority answers`);
  }
  return createGrpcTransport({
    baseUrl: described.endpoint,
    defaultTimeoutMs: 10_000,
    nodeOptions: {
      ca: read("infrastructure.pem"),
      cert: read("operator.pem"),
      key: read("operator.key"),
      minVersion: "TLSv1.3",
    },
  });
}
