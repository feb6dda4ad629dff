module github.com/regauth/regauth/ffi-c/go/ggcr

go 1.25.0

require (
	github.com/google/go-containerregistry v0.22.1
	github.com/regauth/regauth/ffi-c/go v0.1.0
	github.com/regauth/regauth/ffi-c/go/transport v0.1.0
)

require (
	github.com/docker/cli v29.7.2+incompatible // indirect
	github.com/docker/docker-credential-helpers v0.9.3 // indirect
	github.com/klauspost/compress v1.19.2 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/opencontainers/image-spec v1.1.1 // indirect
	github.com/sirupsen/logrus v1.9.4 // indirect
	github.com/tetratelabs/wazero v1.12.0 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	gotest.tools/v3 v3.5.2 // indirect
)

replace (
	github.com/regauth/regauth/ffi-c/go => ../
	github.com/regauth/regauth/ffi-c/go/transport => ../transport
)
