// docs/verify/go_oidc.go accepts our access tokens by discovery alone, and refuses what it should.
package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

type tenant struct{ Tenant, Algorithm, Appid string }

type login struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	SessionID    string `json:"session_id"`
	User         struct{ ID string }
}

type forge struct {
	Issuer, Audience, Algorithm string
	Tokens                      []struct {
		Name, Token string
		Good        bool
	}
}

func file(t *testing.T, variable string) []byte {
	t.Helper()
	text, err := os.ReadFile(os.Getenv(variable))
	if err != nil {
		t.Fatalf("these tests are started by tests/interop/run: %v", err)
	}
	return text
}

func read(t *testing.T, text []byte, into interface{}) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func tenants(t *testing.T) (found []tenant) {
	read(t, file(t, "WXGATE_TENANTS"), &found)
	return found
}

func address(t *testing.T, which string) string {
	var listen map[string]string
	read(t, file(t, "WXGATE_LISTEN"), &listen)
	return "http://" + listen[which]
}

func issuer(t *testing.T, slug string) string { return address(t, "public") + "/t/" + slug }

func ask(t *testing.T, reply *http.Response, err error, into interface{}) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		t.Fatal(reply.Status)
	}
	if err := json.NewDecoder(reply.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func logIn(t *testing.T, appid string) (opened login) {
	var code struct{ Code string }
	post := func(url, body string, into interface{}) {
		reply, err := http.Post(url, "application/json", bytes.NewBufferString(body))
		ask(t, reply, err, into)
	}
	post(address(t, "simulator")+"/sim/codes", fmt.Sprintf(`{"appid":%q}`, appid), &code)
	post(address(t, "public")+"/v1/apps/"+appid+"/login", fmt.Sprintf(`{"code":%q}`, code.Code), &opened)
	return opened
}

func tokens(t *testing.T, issuer, audience, algorithm string) *AccessTokens {
	t.Helper()
	made, err := New(context.Background(), issuer, audience, algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func refused(t *testing.T, tokens *AccessTokens, token, what string) {
	t.Helper()
	if found, err := tokens.Verify(context.Background(), token); err == nil {
		t.Errorf("%s was accepted: %v", what, found)
	}
}

func TestATokenVerifiesThroughDiscovery(t *testing.T) {
	for _, row := range tenants(t) {
		opened := logIn(t, row.Appid)
		found, err := tokens(t, issuer(t, row.Tenant), row.Appid, row.Algorithm).Verify(context.Background(), opened.AccessToken)
		if err != nil {
			t.Fatalf("%s: %v", row.Algorithm, err)
		}
		var claims struct{ Sid string }
		if err := found.Claims(&claims); err != nil || claims.Sid != opened.SessionID || found.Subject != opened.User.ID {
			t.Errorf("%s: %v %v", row.Algorithm, claims, found)
		}
	}
}

func TestWhatIsWrongIsRefused(t *testing.T) {
	event := strings.TrimSpace(string(file(t, "WXGATE_SECURITY_EVENT")))
	for _, row := range tenants(t) {
		opened := logIn(t, row.Appid)
		ours := tokens(t, issuer(t, row.Tenant), row.Appid, row.Algorithm)
		for _, wrong := range []string{opened.RefreshToken, event, "a.b.c", "", ".", opened.AccessToken[:20]} {
			refused(t, ours, wrong, wrong)
		}
		refused(t, tokens(t, issuer(t, row.Tenant), "wx00000000000other", row.Algorithm), opened.AccessToken, "another audience")
		for _, other := range tenants(t) {
			if other != row {
				refused(t, ours, logIn(t, other.Appid).AccessToken, other.Tenant)
				refused(t, tokens(t, issuer(t, row.Tenant), row.Appid, other.Algorithm), opened.AccessToken, other.Algorithm)
			}
		}
	}
}

func TestWhatIsForgedIsRefused(t *testing.T) {
	var forged forge
	reply, err := http.Get(os.Getenv("WXGATE_FORGE") + "/tokens")
	ask(t, reply, err, &forged)
	ours := tokens(t, forged.Issuer, forged.Audience, forged.Algorithm)
	for _, one := range forged.Tokens {
		if found, err := ours.Verify(context.Background(), one.Token); (err == nil) != one.Good {
			t.Errorf("%s: %v %v", one.Name, found, err)
		}
	}
}
