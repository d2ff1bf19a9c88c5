package conf

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"multihop/router"
)

// render returns v in every way in which a program may print it by accident.
func render(v any) string {
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "% x", "%c", "%U"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	text, _ := json.Marshal(v)
	b.Write(text)
	slog.New(slog.NewTextHandler(&b, nil)).Info("text", "v", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("json", "v", v)
	return b.String()
}

// spellings returns the forms that render would show a key in.
func spellings(k router.Key) []string {
	decimal := fmt.Sprint([router.KeySize]byte(k))
	h := hex.EncodeToString(k[:])
	return []string{
		k.Encode(), h, strings.ToUpper(h), string(k[:]), fmt.Sprintf("% x", k[:]),
		strings.Trim(decimal, "[]"),                               // fmt
		strings.ReplaceAll(strings.Trim(decimal, "[]"), " ", ","), // encoding/json
		fmt.Sprintf("%#v", k[:])[len("[]byte{"):],
	}
}

func TestRedaction(t *testing.T) {
	f := parse(t, "t.conf", testMinimal+"PresharedKey = "+testPreshared+
		"\n[Interface]\nPostUp = wg set %i private-key <(echo "+testPrivate+")\n")
	c, err := Chain([]*File{f, hopFile(t, "exit", "::/0")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := loadText(t, "[Interface]\nPostDown = echo "+testPrivate+"\n[Hop]\nName = in\nPrivateKey = "+testPrivate+"\n"+testPeer+"PresharedKey = "+testPreshared+"\n", nil, nil)
	if err != nil {
		t.Log(err) // hooks are root's
		instance = new(Instance)
	}
	_, parseErr := Parse("t.conf", strings.NewReader("[Interface]\nPrivateKey = x"+testPrivate[1:]+testPrivate))
	if parseErr == nil {
		t.Fatal("a bad key was accepted")
	}
	for _, tt := range []struct {
		name string
		v    any
	}{
		{"File", f}, {"File value", *f}, {"Interface", f.Interface}, {"Interface pointer", &f.Interface},
		{"Peers", f.Peers}, {"Hook", f.Interface.PostUp[0]}, {"Chained", c}, {"Config", c.Config}, {"Instance", instance}, {"Settings", instance.Settings},
		{"Warnings", c.Warnings}, {"Error", parseErr}, {"wrapped", fmt.Errorf("conf: %w", parseErr)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := render(tt.v)
			for _, key := range []string{testPrivate, testPreshared} {
				for _, s := range spellings(mustKey(key)) {
					if strings.Contains(got, s) {
						t.Errorf("shows %q:\n%s", s, got)
					}
				}
			}
		})
	}
	// The detector: the same key without its type is seen in most forms.
	bare := render([router.KeySize]byte(mustKey(testPrivate)))
	seen := 0
	for _, s := range spellings(mustKey(testPrivate)) {
		if strings.Contains(bare, s) {
			seen++
		}
	}
	if seen < 5 {
		t.Errorf("of a bare key only %d spellings are found:\n%s", seen, bare)
	}
}

// TestFilePrintsPath: a log of a File is one short line.
func TestFilePrintsPath(t *testing.T) {
	f := parse(t, "dir/t.conf", testMinimal)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, f); got != "dir/t.conf" {
			t.Errorf("%s: got %s", verb, got)
		}
	}
	if got := f.LogValue().String(); got != "dir/t.conf" {
		t.Errorf("slog: got %s", got)
	}
}

// TestErrorsNeverRepeatSecrets puts a private key wherever a person might by
// mistake.
func TestErrorsNeverRepeatSecrets(t *testing.T) {
	hexKey := hex.EncodeToString([]byte("this is a private key of tests.."))
	var places []string
	for _, f := range append(interfaceFields(), peerFields()...) {
		for _, secret := range []string{testPrivate, testPrivate[:43], testPrivate[:30], hexKey, testPrivate + testPrivate, `"` + testPrivate + `"`} {
			places = append(places, f.key+" = "+secret, f.key+" = 10.0.0.1,"+secret, f.key+" "+secret, secret+" = "+f.key,
				f.key+secret, f.key+" = "+secret+":51820", f.key+" = ["+secret+"]:1", "["+secret+"]", secret)
		}
	}
	for _, place := range places {
		for _, before := range []string{"", "[Interface]\n", testMinimal, testInterface + "[Peer]\n"} {
			_, err := Parse("t.conf", strings.NewReader(before+place+"\n"))
			var e *Error
			if err != nil && !errors.As(err, &e) {
				t.Fatalf("%q: %T", place, err)
			}
			if err == nil { // a name of one label may look like anything
				continue
			}
			for _, s := range []string{testPrivate[:secretRun], hexKey[:secretRun]} {
				if strings.Contains(render(err), s) {
					t.Errorf("%q: %v", place, err)
				}
			}
		}
	}
}

// TestProfileErrorsNeverRepeatSecrets is the same for profiles.
func TestProfileErrorsNeverRepeatSecrets(t *testing.T) {
	p := newProfileParser("p.conf")
	for _, section := range p.sections {
		for _, f := range section.fields {
			for _, secret := range []string{testPrivate, testPrivate[:43], testPrivate + testPrivate, "10.0.0.1 via " + testPrivate, "@" + testPrivate, "a, " + testPrivate} {
				text := "[" + section.name + "]\n" + f.key + " = " + secret + "\n"
				if section.name == "Peer" {
					text = "[Hop]\n" + text
				}
				profile, errs := parseProfile("p.conf", text, false)
				if errs == nil {
					_, errs = profile.tree(new(Instance), load)
				}
				got := render(errs)
				if errs == nil || strings.Contains(got, testPrivate[:secretRun]) {
					t.Errorf("%q: %v", text, errs)
				}
			}
		}
	}
}
