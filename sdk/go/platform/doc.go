// Package platform is Wardein for IoT platforms: which device to trust, asked ([Client]), and kept true in memory by a watch
// ([TrustCache]). The contract is proto/README.md; the messages are those of package wardeinv1.
//
// Calls take a context, and end after [Options].Timeout at the latest. They are repeated only where a refusal has RetryInfo, for the
// time that is left. A failed call is a [*RefusedError], or a [*TransportError] where no answer of the authority's came.
package platform
