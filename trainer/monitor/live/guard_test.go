package live

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

var everyPath = []string{"/", "/script.js", "/style.css", "/icon.svg", "/runs", "/events", "/nothing"}

func TestForeignHostIsRefused(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	for host, want := range map[string]int{
		"": http.StatusOK, "localhost": http.StatusOK, "LocalHost:1": http.StatusOK, "localhost.:6007": http.StatusOK, "127.0.0.1:80": http.StatusOK,
		"127.1.2.3": http.StatusOK, "[::1]:6007": http.StatusOK, "[::1]": http.StatusOK,
		"evil.example": http.StatusForbidden, "evil.example:6007": http.StatusForbidden, "localhost.evil.example": http.StatusForbidden,
		"127.0.0.1.evil.example": http.StatusForbidden, "10.0.0.1": http.StatusForbidden, "8.8.8.8:6007": http.StatusForbidden, "[2001:db8::1]": http.StatusForbidden,
	} {
		answer := b.do(http.MethodGet, "/", func(r *http.Request) { r.Host = host })
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("Host %q: %s, want %d", host, answer.Status, want)
		}
	}
	for _, path := range everyPath {
		answer := b.do(http.MethodGet, path, func(r *http.Request) { r.Host = "evil.example" })
		answer.Body.Close()
		if answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s to a foreign host: %s", path, answer.Status)
		}
	}
}

func TestBeyondLoopbackAddressesAndTheMachinesNamesAreKnown(t *testing.T) {
	b := serve(t, "0.0.0.0:0")
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"192.168.1.2:6007": http.StatusOK, "[2001:db8::1]:6007": http.StatusOK, strings.ToUpper(name): http.StatusOK, name + ".local:80": http.StatusOK,
		"localhost": http.StatusOK, "evil.example": http.StatusForbidden, name + ".evil.example": http.StatusForbidden,
	} {
		answer := b.do(http.MethodGet, "/?token="+b.guard.token, func(r *http.Request) { r.Host = host })
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("Host %q: %s, want %d", host, answer.Status, want)
		}
	}
}

func TestNothingCanBeWritten(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	for _, path := range everyPath {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"} {
			answer := b.do(method, path, nil)
			answer.Body.Close()
			if answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %s, Allow %q", method, path, answer.Status, answer.Header.Get("Allow"))
			}
		}
	}
	for path, want := range map[string]int{"/": 200, "/runs": 200, "/events?run=" + b.ownID(): 200, "/nothing": 404} {
		answer := b.do(http.MethodHead, path, nil)
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("HEAD %s: %s", path, answer.Status)
		}
	}
}

func TestRequestWithABodyIsRefusedUnread(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	for _, body := range []string{"Content-Length: 1000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"} {
		conn := b.dial()
		if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n" + body)); err != nil {
			t.Fatal(err)
		}
		if status := firstLine(t, conn); !strings.Contains(status, " 400 ") {
			t.Errorf("%q: %q", body, status)
		}
	}
}

func TestOtherSitesPagesAreRefused(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	for _, test := range []struct {
		path, site, mode string
		want             int
	}{
		{"/", "cross-site", "navigate", 200}, {"/", "none", "navigate", 200}, {"/runs", "same-origin", "cors", 200},
		{"/", "cross-site", "no-cors", 403}, {"/runs", "cross-site", "no-cors", 403}, {"/events", "cross-site", "cors", 403},
		{"/script.js", "same-site", "no-cors", 403}, {"/runs", "cross-site", "navigate", 403},
	} {
		answer := b.do(http.MethodGet, test.path, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", test.site)
			r.Header.Set("Sec-Fetch-Mode", test.mode)
		})
		answer.Body.Close()
		if answer.StatusCode != test.want {
			t.Errorf("%+v: %s", test, answer.Status)
		}
	}
}

func TestEveryAnswerBindsTheBrowser(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	for _, path := range everyPath {
		answer := b.do(http.MethodGet, path, nil)
		answer.Body.Close()
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Content-Security-Policy": policy,
			"Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": ""} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy lacks %s", part)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy is not strict: %s", policy)
	}
}

func TestLoopbackAsksForNoToken(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "localhost:0", "127.3.2.1:0"} {
		b := serve(t, listen)
		if _, answer := b.get("/"); answer.StatusCode != http.StatusOK || strings.Contains(b.URL(), "token") {
			t.Errorf("%s: %s, %s", listen, answer.Status, b.URL())
		}
	}
}

func TestBeyondLoopbackATokenIsAskedFor(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0"} {
		b := serve(t, listen)
		token := b.guard.token
		if !regexp.MustCompile(`^http://[^/]+/\?token=[0-9a-f]{32}$`).MatchString(b.URL()) || !strings.HasSuffix(b.URL(), token) {
			t.Fatalf("%s: %s", listen, b.URL())
		}
		for _, path := range everyPath {
			for _, wrong := range []string{"", "?token=", "?token=" + strings.Repeat("0", 32), "?token=" + token[:31], "?token=" + token + "0", "?Token=" + token} {
				answer := b.do(http.MethodGet, path+wrong, func(r *http.Request) {
					r.AddCookie(&http.Cookie{Name: b.guard.cookie, Value: "x" + token[1:]})
				})
				answer.Body.Close()
				if answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("Set-Cookie") != "" {
					t.Errorf("%s%s: %s", path, wrong, answer.Status)
				}
			}
		}
		visit := b.do(http.MethodGet, "/?token="+token, nil)
		visit.Body.Close()
		cookies := visit.Cookies()
		if visit.StatusCode != http.StatusOK || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
			t.Fatalf("%s: %s, %v", listen, visit.Status, visit.Header["Set-Cookie"])
		}
		answer := b.do(http.MethodGet, "/runs", func(r *http.Request) { r.AddCookie(cookies[0]) })
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("with the cookie: %s", answer.Status)
		}
	}
}

func TestEachRunHasATokenOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		seen[newToken()] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d different tokens of 100", len(seen))
	}
}
