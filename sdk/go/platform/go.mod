// Nobody has published this module. `.example` never resolves (RFC 2606), so that no proxy can serve another's code under this
// path; use it by `replace`, as README.md says. Who publishes it puts a path of their own here.
module wardein.example/platform

go 1.24.0

require (
	// `google.rpc.Status` of a refusal (Apache-2.0, by Google).
	google.golang.org/genproto/googleapis/rpc v0.0.0-20251202230838-ff82c1b0f217
	// The authority's transport (Apache-2.0, by the gRPC authors).
	google.golang.org/grpc v1.79.3
	// What the generated messages need (BSD-3-Clause, by the Go team).
	google.golang.org/protobuf v1.36.12
	// Devices that the tests enroll.
	wardein.example/device v0.0.0
	wardein.example/device/grpc v0.0.0
	wardein.example/wardeinv1 v0.0.0
)

require (
	golang.org/x/crypto v0.46.0 // indirect
	golang.org/x/net v0.48.0 // indirect
	golang.org/x/sys v0.39.0 // indirect
	golang.org/x/text v0.32.0 // indirect
)

replace wardein.example/device => ..

replace wardein.example/device/grpc => ../grpc

replace wardein.example/wardeinv1 => ../wardeinv1
