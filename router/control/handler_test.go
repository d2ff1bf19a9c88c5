package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"multihop/router"
)

// A source answers with what it holds.
type source struct {
	flow router.Flow
	err  error
}

func (s *source) Status(context.Context) (Status, error) { return Status{Profile: "office"}, s.err }

func (s *source) Routes(context.Context) ([]router.RouteStatus, error) {
	return []router.RouteStatus{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Count: 1, Hop: "exit"}}, s.err
}

func (s *source) Explain(_ context.Context, f router.Flow) (router.Explanation, error) {
	s.flow = f
	return router.Explanation{Dst: f.Dst}, s.err
}

// An instance notes what it was told.
type instance struct {
	source
	told string
	opts ApplyOptions
}

func (i *instance) Reload(_ context.Context, ssh []netip.Addr) (Changes, error) {
	i.told += fmt.Sprint("reload ", ssh)
	return Changes{}, i.err
}

func (i *instance) Stop(context.Context) error {
	i.told += "stop"
	return i.err
}

func (i *instance) Apply(_ context.Context, text string, o ApplyOptions) (Changes, error) {
	i.told += "apply " + text
	i.opts = o
	return Changes{Changes: []string{"[#] x"}}, i.err
}

func ask(h http.Handler, method, target, body string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func TestHandler(t *testing.T) {
	refused := &RefusedError{errors.New("profile:3: Endpoint: no port")}
	tests := []struct {
		name, method, target, body string
		err                        error
		code                       int
		want                       string // a part of the answer
		told                       string // the instance
	}{
		{"status", "GET", "/status", "", nil, 200, `"profile":"office"`, ""},
		{"status that fails", "GET", "/status", "", errors.New("it has just ended"), 500, `{"error":"it has just ended"}`, ""},
		{"routes", "GET", "/routes", "", nil, 200, `{"routes":[{"prefix":"10.0.0.0/8","count":1,`, ""},
		{"routes that fail", "GET", "/routes", "", errors.New("no"), 500, `{"error":"no"}`, ""},
		{"route", "GET", "/route?dst=10.1.2.3", "", nil, 200, `{"dst":"10.1.2.3"`, ""},
		{"no address", "GET", "/route", "", nil, 400, `{"error":"dst: missing"}`, ""},
		{"a name", "GET", "/route?dst=example.net", "", nil, 400, `{"error":"dst: \"example.net\" is not an address"}`, ""},
		{"apply", "POST", "/apply", "[Hop]\n", nil, 200, `{"changes":["[#] x"],"warnings":null}`, "apply [Hop]\n"},
		{"apply of what is wrong", "POST", "/apply", "x", refused, 422, `{"error":"profile:3: Endpoint: no port"}`, "apply x"},
		{"apply that fails", "POST", "/apply", "x", errors.New("route: no"), 500, `{"error":"route: no"}`, "apply x"},
		{"apply of too much", "POST", "/apply", strings.Repeat("#", maxProfile+1), nil, 413, `{"error":"longer than 1048576 bytes: not a profile"}`, ""},
		{"apply for no address", "POST", "/apply?ssh=here", "x", nil, 400, `{"error":"ssh: \"here\" is not an address"}`, ""},
		{"reload", "POST", "/reload", "", nil, 200, `{"changes":`, "reload []"},
		{"reload by SSH", "POST", "/reload?ssh=192.0.2.9", "", nil, 200, `{"changes":`, "reload [192.0.2.9]"},
		{"reload by SSH from either", "POST", "/reload?ssh=192.0.2.9&ssh=&ssh=2001:db8::9", "", nil, 200, `{"changes":`, "reload [192.0.2.9 2001:db8::9]"},
		{"reload for an address and none", "POST", "/reload?ssh=192.0.2.9&ssh=here", "", nil, 400, `{"error":"ssh: `, ""},
		{"reload for no address", "POST", "/reload?ssh=here", "", nil, 400, `{"error":"ssh: `, ""},
		{"a misspelt parameter", "POST", "/apply?dry_run", "x", nil, 400, `"dry_run\" is no parameter`, ""},
		{"dry-run that is none", "POST", "/apply?dry-run=false", "x", nil, 400, `dry-run: `, ""},
		{"stop", "POST", "/stop", "", nil, 200, `{}`, "stop"},
		{"a change of what is asked", "POST", "/status", "", nil, 405, "", ""},
		{"apply by GET", "GET", "/apply", "", nil, 405, "", ""},
		{"reload by GET", "GET", "/reload", "", nil, 405, "", ""},
		{"stop by GET", "GET", "/stop", "", nil, 405, "", ""},
		{"no events", "GET", "/events", "", nil, 404, "", ""},
		{"unknown", "GET", "/keys", "", nil, 404, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := &instance{source: source{err: tt.err}}
			code, body := ask(NewHandler(in, nil), tt.method, tt.target, tt.body)
			if code != tt.code || !strings.Contains(body, tt.want) || in.told != tt.told {
				t.Errorf("%d %s, told %q; want %d %s, %q", code, body, in.told, tt.code, tt.want, tt.told)
			}
		})
	}
	in := new(instance)
	if ask(NewHandler(in, nil), "POST", "/apply?dry-run&ssh=192.0.2.9", "x"); !in.opts.DryRun || !slices.Equal(in.opts.SSH, []netip.Addr{netip.MustParseAddr("192.0.2.9")}) {
		t.Errorf("%+v", in.opts)
	}
	for _, target := range []string{"/apply", "/reload", "/stop"} { // of what is only asked
		if code, _ := ask(NewHandler(new(source), nil), "POST", target, ""); code != http.StatusNotFound {
			t.Errorf("%s: %d", target, code)
		}
	}
}

func TestFlow(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, f := range []router.Flow{
		{Dst: a}, {Dst: b, Src: b, Proto: 6, SrcPort: 65535, Port: 1, Size: 1500},
		{Dst: a, Proto: 255, DF: true}, {Src: a, FromHop: "exit"}, {Dst: a, Src: a, FromHop: "exit", Proto: 1},
	} {
		if got, err := ParseFlow(Query(f)); err != nil || got != f {
			t.Errorf("%+v became %+v, %v", f, got, err)
		}
	}
	for query, want := range map[string]string{
		"":                        "dst: missing",
		"from=exit":               "src: missing: a packet from a hop has one",
		"dst=1.2.3.4&dst=1.1.1.1": "dst: given 2 times",
		"dst=fe80::1%25eth0":      `dst: "fe80::1%eth0" is not an address`,
		"dst=1.2.3.4&proto=0":     `proto: "0": want tcp, udp, icmp, or a number from 1 to 255`,
		"dst=1.2.3.4&proto=256":   `proto: "256": want tcp, udp, icmp, or a number from 1 to 255`,
		"dst=1.2.3.4&sport=-1":    `sport: "-1": want a port from 0 to 65535`,
		"dst=1.2.3.4&dport=x":     `dport: "x": want a port from 0 to 65535`,
		"dst=1.2.3.4&size=0":      `size: "0" is no number of bytes`,
		"dst=1.2.3.4&df=2":        `df: "2": want true or false`,
		"dst=1.2.3.4&port=1":      "port: unknown: want dst, src, proto, sport, dport, size, df or from",
	} {
		code, body := ask(NewHandler(new(source), nil), "GET", "/route?"+query, "")
		if code != http.StatusBadRequest || !strings.Contains(body, strings.ReplaceAll(want, `"`, `\"`)) {
			t.Errorf("%s: %d %s, want %q", query, code, body, want)
		}
	}
	s := new(source)
	if code, _ := ask(NewHandler(s, nil), "GET", "/route?dst=::ffff:192.0.2.1&proto=TCP&df=true", ""); code != http.StatusOK || s.flow != (router.Flow{Dst: a, Proto: 6, DF: true}) {
		t.Errorf("%d, %+v", code, s.flow)
	}
}

// FuzzFlow: whatever a query says, what is accepted is a flow that its own query
// gives again, and names somebody to send it.
func FuzzFlow(f *testing.F) {
	for _, q := range []string{
		"dst=192.0.2.1", "dst=2001:db8::1&src=::1&proto=tcp&sport=1&dport=65535&size=1500&df=true",
		"from=exit&src=192.0.2.1", "dst=::ffff:192.0.2.1&proto=255", "dst=fe80::1%25eth0", "size=0", "=&=", "dst=1.2.3.4&dst=1.2.3.4",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		flow, err := ParseFlow(q)
		if err != nil {
			return
		}
		if again, err := ParseFlow(Query(flow)); err != nil || again != flow {
			t.Errorf("%+v became %+v, %v", flow, again, err)
		}
		if flow.FromHop == "" && !flow.Dst.IsValid() || flow.FromHop != "" && !flow.Src.IsValid() {
			t.Errorf("%+v", flow)
		}
	})
}
