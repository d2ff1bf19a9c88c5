package control

import (
	"slices"
	"testing"
)

func TestProfile(t *testing.T) {
	dir := t.TempDir()
	for name, profile := range map[string]string{"mh0": "", "vpn0": "office", "vpn1": "office", "home": "home"} {
		if err := SetProfile(dir, name, profile); err != nil {
			t.Fatal(err)
		}
	}
	if got := OfProfile(dir, "office"); !slices.Equal(got, []string{"vpn0", "vpn1"}) {
		t.Errorf("office is run by %q", got)
	}
	for range 2 {
		if err := ForgetProfile(dir, "vpn0"); err != nil {
			t.Fatal(err)
		}
	}
	if got := OfProfile(dir, "office"); !slices.Equal(got, []string{"vpn1"}) {
		t.Errorf("office is run by %q after vpn0 was forgotten", got)
	}
	for _, profile := range []string{"", "moon"} {
		if got := OfProfile(dir, profile); len(got) != 0 {
			t.Errorf("%q is run by %q", profile, got)
		}
	}
}
