package router

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// secretForms returns how the bytes of a key may look in a text.
func secretForms(k Key) []string {
	return []string{
		k.Encode(),
		base64.RawStdEncoding.EncodeToString(k[:]),
		base64.URLEncoding.EncodeToString(k[:]),
		hex.EncodeToString(k[:]),
		strings.ToUpper(hex.EncodeToString(k[:])),
		fmt.Sprintf("% x", k[:]),
		strings.Trim(fmt.Sprintf("%d", k[:4]), "[]"),
		strings.Trim(fmt.Sprintf("%o", k[:4]), "[]"),
		strings.Trim(fmt.Sprintf("%b", k[:4]), "[]"),
		strings.Trim(fmt.Sprintf("%U", k[:4]), "[]"),
		strings.Trim(fmt.Sprintf("%c", k[:4]), "[]"),
		strings.Trim(fmt.Sprintf("%q", k[:4]), "[]"),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", k[:4]), "[]byte{"), "}"),
		fmt.Sprintf("[%d,%d,%d,", k[0], k[1], k[2]), // encoding/json of an array
		string(k[:4]),
	}
}

// leaks returns the first form of a key that text holds.
func leaks(text string, secrets ...Key) string {
	for _, k := range secrets {
		for _, form := range secretForms(k) {
			if strings.Contains(text, form) {
				return form
			}
		}
	}
	return ""
}

// secretKey is no clamped, random key: its bytes are easy to recognise.
func secretKey(first byte) Key {
	var k Key
	for i := range k {
		k[i] = first + byte(i)*3
	}
	return k
}

type nested struct {
	Key     Key
	Pointer *Key
	List    []Key
	ByName  map[string]Key
	ByKey   map[Key]string
	Any     any
}

// printed returns everything that holds secrets and may reach a log.
func printed(t *testing.T, private, preshared Key) map[string]any {
	cfg := chain()
	cfg.Hops[0].PrivateKey = private
	cfg.Hops[0].Peers[0].PresharedKey = preshared
	plan, err := Compile(cfg)
	must(t, err)
	broken := cfg
	broken.Hops = []Hop{cfg.Hops[0]}
	broken.Hops[0].FwMark, broken.Hops[0].MTU = 1, -1
	_, bad := Compile(broken)
	if bad == nil {
		t.Fatal("a negative MTU compiles")
	}
	return map[string]any{
		"Key":            private,
		"*Key":           &private,
		"PSK":            preshared,
		"Config":         cfg,
		"*Config":        &cfg,
		"Hop":            cfg.Hops[0],
		"[]Hop":          cfg.Hops,
		"Peer":           cfg.Hops[0].Peers[0],
		"Plan":           *plan,
		"*Plan":          plan,
		"nested Plan":    struct{ P any }{*plan},
		"ConfigError":    bad,
		"wrapped":        errors.Join(fmt.Errorf("x: %w", bad), bad),
		"nested":         nested{private, &private, []Key{private}, map[string]Key{"k": private}, map[Key]string{private: "v"}, private},
		"nested pointer": &nested{Key: private, Any: &preshared},
	}
}

func TestKeyHidden(t *testing.T) {
	private, preshared := secretKey(65), secretKey(97)
	for name, v := range printed(t, private, preshared) {
		t.Run(name, func(t *testing.T) {
			for _, flags := range []string{"", "+", "#", " ", "0", "-", "40", ".3"} {
				for _, verb := range "vsdxXqbocUtTeEfFgG" {
					format := "%" + flags + string(verb)
					if form := leaks(fmt.Sprintf(format, v), private, preshared); form != "" {
						t.Errorf("%s shows %q", format, form)
					}
				}
			}
			for _, s := range []string{fmt.Sprint(v), fmt.Sprintln(v)} {
				if form := leaks(s, private, preshared); form != "" {
					t.Errorf("Print shows %q", form)
				}
			}
			if b, err := json.Marshal(v); err == nil {
				if form := leaks(string(b), private, preshared); form != "" {
					t.Errorf("json shows %q", form)
				}
			}
		})
	}
}

func TestKeyHiddenInLogs(t *testing.T) {
	private, preshared := secretKey(65), secretKey(97)
	for _, kind := range []string{"text", "json"} {
		t.Run(kind, func(t *testing.T) {
			var b bytes.Buffer
			var h slog.Handler = slog.NewTextHandler(&b, nil)
			if kind == "json" {
				h = slog.NewJSONHandler(&b, nil)
			}
			log := slog.New(h)
			for name, v := range printed(t, private, preshared) {
				b.Reset()
				log.Info("x", "value", v)
				log.With("value", v).WithGroup("g").Info("y", slog.Group("h", "value", v))
				if form := leaks(b.String(), private, preshared); form != "" {
					t.Errorf("%s shows %q", name, form)
				}
			}
		})
	}
}

// TestKeyLogValue: handlers of others, which read the value itself, get no key.
func TestKeyLogValue(t *testing.T) {
	k := secretKey(65)
	for _, v := range []any{k, &k} {
		if got := slog.AnyValue(v).Resolve(); got.Kind() != slog.KindString || got.String() != redacted {
			t.Errorf("%T resolves to %v of kind %v", v, got, got.Kind())
		}
	}
}

// TestLeaks proves the detector: what prints a key's bytes is found.
func TestLeaks(t *testing.T) {
	k := secretKey(65)
	type plain [KeySize]byte
	for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%x", "%X", "%s", "%q", "% x", "%o", "%b", "%U", "%c"} {
		if leaks(fmt.Sprintf(verb, plain(k)), k) == "" {
			t.Errorf("%s of plain bytes is not noticed: %s", verb, fmt.Sprintf(verb, plain(k)))
		}
	}
	b, err := json.Marshal(plain(k))
	must(t, err)
	if leaks(string(b), k) == "" || leaks(k.Encode(), k) == "" {
		t.Error("json or base64 is not noticed")
	}
}

func TestParseKey(t *testing.T) {
	good := secretKey(1).Encode()
	k, err := ParseKey(good)
	if err != nil || k != secretKey(1) || k.Encode() != good {
		t.Fatalf("round trip: %v", err)
	}
	for _, tt := range []struct{ name, in string }{
		{"empty", ""},
		{"short", good[:43]},
		{"long", good + "="},
		{"31 bytes", base64.StdEncoding.EncodeToString(make([]byte, 31))},
		{"33 bytes", base64.StdEncoding.EncodeToString(make([]byte, 33))},
		{"no padding", strings.TrimSuffix(good, "=") + "A"},
		{"not base64", "!" + good[1:]},
		{"URL alphabet", "-_" + good[2:]},
		{"newline", good[:20] + "\n" + good[20:43]},
		{"trailing bits", good[:42] + "9="},
		{"hex", hex.EncodeToString(k[:])},
		{"space in front", " " + good[:43]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := ParseKey(tt.in)
			if err == nil {
				t.Fatal("no error")
			}
			if !k.IsZero() {
				t.Error("a key all the same")
			}
			if len(tt.in) > 3 && strings.Contains(err.Error(), tt.in[:4]) {
				t.Errorf("the error repeats what was given: %v", err)
			}
		})
	}
}

// TestKeyPublic uses the vectors of RFC 7748, section 6.1.
func TestKeyPublic(t *testing.T) {
	for _, tt := range []struct{ name, private, public string }{
		{
			"Alice",
			"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
			"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
		},
		{
			"Bob",
			"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
			"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var k Key
			_, err := hex.Decode(k[:], []byte(tt.private))
			must(t, err)
			if got := k.Public().hex(); got != tt.public {
				t.Errorf("got %s, want %s", got, tt.public)
			}
		})
	}
}

func TestNewKeys(t *testing.T) {
	a, b := NewPrivateKey(), NewPrivateKey()
	if a == b || a.IsZero() {
		t.Error("two private keys are equal, or zero")
	}
	if a[0]&7 != 0 || a[31]&128 != 0 || a[31]&64 == 0 {
		t.Error("the private key is not clamped")
	}
	if NewPresharedKey() == NewPresharedKey() {
		t.Error("two preshared keys are equal")
	}
	if !(Key{}).IsZero() || a.hex() != hex.EncodeToString(a[:]) {
		t.Error("IsZero or hex is wrong")
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(secretKey(1).Encode())
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParseKey(s); err == nil && k.Encode() != s {
			t.Fatalf("%q is taken for %q", s, k.Encode())
		}
	})
}
