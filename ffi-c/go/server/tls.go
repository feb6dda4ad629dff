package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLSConfig makes a server's configuration of base, with its certificates, that asks clients for a certificate and verifies it
// by these CAs: always (tls.RequireAndVerifyClientCert), or where one is given (tls.VerifyClientCertIfGiven). It makes none
// where certificates are merely requested, which prove nothing, or where one would be accepted by the CAs of the system.
func TLSConfig(base *tls.Config, clients *x509.CertPool, auth tls.ClientAuthType) (*tls.Config, error) {
	if auth != tls.RequireAndVerifyClientCert && auth != tls.VerifyClientCertIfGiven {
		return nil, fmt.Errorf("regauth: %s does not verify the certificates of clients: "+
			"take tls.RequireAndVerifyClientCert or tls.VerifyClientCertIfGiven", auth)
	}
	if clients == nil || clients.Equal(x509.NewCertPool()) {
		return nil, errors.New("regauth: no CA is given for the certificates of clients: give a pool with those of the builders")
	}
	config := new(tls.Config)
	if base != nil {
		if base.GetConfigForClient != nil {
			return nil, errors.New("regauth: GetConfigForClient would replace this configuration: call TLSConfig inside of it")
		}
		config = base.Clone()
	}
	config.ClientAuth, config.ClientCAs = auth, clients
	return config, nil
}
