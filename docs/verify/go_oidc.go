package verify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/coreos/go-oidc" // with modules: github.com/coreos/go-oidc/v3/oidc
)

// AccessTokens verifies access tokens of one tenant for one audience. Make it once, at start: it keeps the keys.
type AccessTokens struct {
	verifier *oidc.IDTokenVerifier
}

// New finds the keys of an issuer. The context must live as long as what it returns.
func New(ctx context.Context, issuer, audience, algorithm string) (*AccessTokens, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, err
	}
	expected := &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{algorithm}}
	return &AccessTokens{provider.Verifier(expected)}, nil
}

// Verify returns what stands in a token (Subject, Claims), or an error: answer 401.
func (tokens *AccessTokens) Verify(ctx context.Context, token string) (*oidc.IDToken, error) {
	// go-oidc is made for ID tokens and does not look at the type.
	var header struct{ Typ string }
	encoded, _, _ := strings.Cut(token, ".")
	if text, err := base64.RawURLEncoding.DecodeString(encoded); err != nil || json.Unmarshal(text, &header) != nil {
		return nil, errors.New("not a JWT")
	}
	if header.Typ != "at+jwt" {
		return nil, errors.New("not an access token")
	}
	return tokens.verifier.Verify(ctx, token)
}
