module regauth.invalid/mtls

go 1.21
