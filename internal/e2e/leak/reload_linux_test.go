package leak_test

import (
	"strings"
	"testing"

	"multihop/internal/e2e/host"
)

// TestReloads changes settings of a running profile under traffic, of which each
// has a kill switch: nothing leaves in clear while one takes the other's place.
func TestReloads(t *testing.T) {
	t.Parallel()
	s := newScene(t, sceneOptions{})
	s.detector(t)
	const hops = "\n[Hop]\nName = entry\nConfig = entry.conf\n\n[Hop]\nName = exit\nVia = entry\nConfig = exit.conf\n"
	split := strings.Replace(hops, "Via = entry", "Via = entry\nRoutes = 203.0.113.0/24, 2001:db8:99::/64", 1)
	entry, exit := s.files("IPv4")
	s.Write(t, "/etc/multihop", entry)
	s.Write(t, "/etc/multihop", exit)
	profile := func(text string) host.File { return host.File{Name: "office.conf", Text: "[Interface]\n" + text} }
	i := s.Profile(t, profile(hops))
	s.up(t, i)
	s.works(t, "up")
	for _, f := range []struct{ name, text string }{
		{"mark", "FwMark = 0x77\n" + hops},
		{"mark and LAN", "FwMark = 0x78\nLAN = deny\n" + hops},
		{"DNS", "DNS = 10.65.0.1 via exit\n" + hops},
		{"prefixes", "KillSwitch = yes\n" + split},
		{"MTU", "MTU = 1380\n" + hops},
		{"the first", hops},
	} {
		s.phase(t, "reload: "+f.name, func() {
			s.Write(t, "/etc/multihop", profile(f.text))
			i.Reload(t)
		})
		if f.name != "mark and LAN" { // which the guest is cut off by
			s.works(t, "after a reload: "+f.name)
		}
	}
	i.Down(t)
	s.open(t, "after down")
}
