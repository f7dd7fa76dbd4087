// The messages of proto/, for devices and platforms alike: a process that had a message twice would not start. sdk/generate.sh writes it.
module wardein.example/wardeinv1

go 1.24.0

// What the messages need, and what generates them (BSD-3-Clause, by the Go team).
require google.golang.org/protobuf v1.36.12

tool google.golang.org/protobuf/cmd/protoc-gen-go
