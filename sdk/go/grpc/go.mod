// A module of its own, so that who brings another transport has none of this in go.sum.
module wardein.example/device/grpc

go 1.24.0

require (
	// `google.rpc.RetryInfo` of a refusal (Apache-2.0, by Google).
	google.golang.org/genproto/googleapis/rpc v0.0.0-20251202230838-ff82c1b0f217
	// The authority's transport (Apache-2.0, by the gRPC authors).
	google.golang.org/grpc v1.79.3
	google.golang.org/protobuf v1.36.12
	wardein.example/device v0.0.0
	wardein.example/wardeinv1 v0.0.0
)

require (
	golang.org/x/crypto v0.46.0 // indirect
	golang.org/x/net v0.48.0 // indirect
	golang.org/x/sys v0.39.0 // indirect
	golang.org/x/text v0.32.0 // indirect
)

replace wardein.example/device => ..

replace wardein.example/wardeinv1 => ../wardeinv1
