// Watching without an end: where a stream breaks, another one goes on from its last revision.

import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type Client } from "@connectrpc/connect";
import { type DeviceVerdict, type TrustService, FromSnapshotSchema, type WatchRequest, WatchRequestSchema } from "../gen/wardein/v1/trust_pb.js";

/** What a watch says. After `snapshot` nothing else is known of devices than it has; after `current` all of that was so a moment ago. */
export type Event =
  | { kind: "snapshot"; devices: DeviceVerdict[] }
  | { kind: "change"; devices: DeviceVerdict[] }
  | { kind: "current" }
  | { kind: "interrupted"; reason: string };

// Bookmarks come every five seconds.
const silence = 15_000;
const firstPause = 100;
const lastPause = 10_000;

/** Ends only by `stop`, or with the error that no other attempt changes. */
export async function* watch(client: Client<typeof TrustService>, stop: AbortSignal): AsyncGenerator<Event> {
  let revision: Uint8Array | undefined;
  let pause = firstPause;
  while (!stop.aborted) {
    const ended = new AbortController();
    let silent = setTimeout(() => ended.abort(), silence);
    const end = (): void => ended.abort();
    stop.addEventListener("abort", end);
    try {
      // It has no end in time.
      const messages = client.watch(from(revision), { signal: ended.signal, timeoutMs: 0 });
      let coming: DeviceVerdict[] = [];
      for await (const { event } of messages) {
        clearTimeout(silent);
        silent = setTimeout(() => ended.abort(), silence);
        pause = firstPause;
        switch (event.case) {
          case "snapshot":
            coming.push(...event.value.devices);
            break;
          case "snapshotEnd":
            if (BigInt(coming.length) !== event.value.devices) throw new ConnectError("the snapshot is not whole", Code.Internal);
            revision = event.value.revision;
            yield { kind: "snapshot", devices: coming };
            coming = [];
            break;
          case "change":
            if (revision === undefined || !equal(revision, event.value.previous)) {
              throw new ConnectError("a change was missed", Code.Internal);
            }
            revision = event.value.revision;
            yield { kind: "change", devices: event.value.devices };
            break;
          case "bookmark":
            revision = event.value.revision;
            yield { kind: "current" };
            break;
        }
      }
      throw new ConnectError("the watch ended", Code.Unavailable);
    } catch (error) {
      if (stop.aborted) return;
      const { code, message } = ConnectError.from(error);
      if (code === Code.OutOfRange && revision !== undefined) {
        // What it goes on from is gone.
        revision = undefined;
      } else if (![Code.Unavailable, Code.ResourceExhausted, Code.Internal, Code.Canceled, Code.Unknown, Code.Aborted].includes(code)) {
        throw error;
      }
      yield { kind: "interrupted", reason: message };
      // Not all watchers of an authority at once.
      await sleep(pause / 2 + (Math.random() * pause) / 2, undefined, { signal: stop }).catch(() => undefined);
      pause = Math.min(2 * pause, lastPause);
    } finally {
      clearTimeout(silent);
      stop.removeEventListener("abort", end);
      ended.abort();
    }
  }
}

function from(revision: Uint8Array | undefined): WatchRequest {
  if (revision !== undefined) return create(WatchRequestSchema, { from: { case: "revision", value: revision } });
  return create(WatchRequestSchema, { from: { case: "snapshot", value: create(FromSnapshotSchema) } });
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
