// Who may ask, and for what: the Host header, the token, the methods, and the headers that bind the browser.

package live

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
)

// guard stands before every request.
type guard struct {
	loopback bool     // only this machine reaches the address
	names    []string // in a Host header, besides IP addresses
	token    string   // "": none is asked for
	cookie   string
}

func newGuard(host string, address *net.TCPAddr) *guard {
	g := &guard{
		loopback: address.IP.IsLoopback(), names: []string{"localhost"},
		cookie: fmt.Sprintf("frugal-live-%d", address.Port), // a browser sends cookies to all ports of a machine
	}
	if host != "" {
		g.names = append(g.names, strings.ToLower(host))
	}
	if g.loopback {
		return g
	}
	g.token = newToken()
	if name, err := os.Hostname(); err == nil && name != "" {
		name = strings.ToLower(name)
		g.names = append(g.names, name, name+".local")
	}
	return g
}

// policy forbids the page whatever it does not need: anything from elsewhere, inline code, being framed.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (g *guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-cache")
		switch {
		case !g.knowsHost(r.Host):
			http.Error(w, "this page answers to IP addresses and to "+strings.Join(g.names, ", ")+
				"; for another name, put it into monitoring.listen", http.StatusForbidden)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			header.Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD: nothing can be written here", http.StatusMethodNotAllowed)
		case r.ContentLength != 0:
			header.Set("Connection", "close") // and so nobody waits for the rest of the body
			http.Error(w, "a request with a body", http.StatusBadRequest)
		case !fromThePage(r):
			http.Error(w, "only the page itself may ask for this", http.StatusForbidden)
		case !g.admits(w, r):
			http.Error(w, "open the address that the training's log shows, with its token", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knowsHost refuses names that are not this machine's: a foreign page whose name was made to point here (DNS rebinding)
// would otherwise be of the same origin as ours. An IP address cannot be rebound.
func (g *guard) knowsHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	if ip := net.ParseIP(name); ip != nil {
		return !g.loopback || ip.IsLoopback()
	}
	return slices.Contains(g.names, strings.ToLower(strings.TrimSuffix(name, ".")))
}

// fromThePage is false where another site's page asks: browsers say so. Following a link to the page is allowed.
func fromThePage(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "none" || site == "same-origin" || r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

// admits compares the token, from the address or from the cookie that the first visit set.
func (g *guard) admits(w http.ResponseWriter, r *http.Request) bool {
	if g.token == "" {
		return true
	}
	if c, err := r.Cookie(g.cookie); err == nil && same(c.Value, g.token) {
		return true
	}
	if !same(r.URL.Query().Get("token"), g.token) {
		return false
	}
	http.SetCookie(w, &http.Cookie{Name: g.cookie, Value: g.token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	return true
}

// same takes as long for a near miss as for any other, whatever the lengths.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
