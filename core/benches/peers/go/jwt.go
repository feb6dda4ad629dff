package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

type registryClaims struct {
	jwt.RegisteredClaims
	Access []access `json:"access"`
}

// tokens signs or verifies a registry's token with golang-jwt.
func tokens(arguments []string, times int) cost {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	now := time.Now()
	claims := registryClaims{
		jwt.RegisteredClaims{
			Issuer: "https://auth.example", Subject: "robot", Audience: jwt.ClaimStrings{host},
			ExpiresAt: jwt.NewNumericDate(now.Add(5 * time.Minute)), NotBefore: jwt.NewNumericDate(now),
			IssuedAt: jwt.NewNumericDate(now), ID: "CQkJCQkJCQkJCQkJCQkJCQ",
		},
		[]access{{"repository", "team/app", []string{"pull", "push"}}},
	}
	sign := func() string {
		token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
		token.Header["kid"] = "XaRdhwy1aR7KfctrmYZfOk3ygwonFgCZr_ij1b1vmgc"
		return must(token.SignedString(key))
	}
	if arguments[0] == "sign" {
		return measure(times, func() { sign() })
	}
	signed := sign()
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer("https://auth.example"),
		jwt.WithAudience(host), jwt.WithExpirationRequired())
	return measure(times, func() {
		var read registryClaims
		must(parser.ParseWithClaims(signed, &read, func(*jwt.Token) (any, error) { return &key.PublicKey, nil }))
	})
}
