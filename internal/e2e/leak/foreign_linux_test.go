package leak_test

import (
	"strings"
	"testing"
	"time"
)

// restoreTime is how soon what others removed has to be back.
const restoreTime = time.Second

// TestForeign does to the host what administrators and other programs do to
// what is not theirs: nothing leaves in clear meanwhile, and within a second all
// is as before.
func TestForeign(t *testing.T) {
	s := newScene(t, sceneOptions{})
	s.detector(t)
	i := s.chain(t, "IPv4")
	i.Up(t)
	s.works(t, "up")

	for _, f := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"nft flush ruleset", func(*testing.T) { _, _ = s.Run("nft", "flush", "ruleset") }},
		{"nft delete table", func(*testing.T) { _, _ = s.Run("nft", "delete", "table", "inet", "multihop-mh0") }},
		{"nft flush table", func(*testing.T) { _, _ = s.Run("nft", "flush", "table", "inet", "multihop-mh0") }},
		{"rules deleted", s.deleteRules},
		// What wg-quick down does, whoever else has such rules.
		{"wg-quick down of another tunnel", func(*testing.T) {
			for _, family := range []string{"-4", "-6"} {
				for range 3 {
					_, _ = s.Run("ip", family, "rule", "delete", "table", "main", "suppress_prefixlength", "0")
				}
			}
		}},
		{"routes deleted", s.deleteRoutes},
		{"guard routes deleted", s.deleteGuards},
		{"src_valid_mark off", func(*testing.T) { s.Host.Sysctl("ipv4/conf/all/src_valid_mark=0") }},
		{"all at once", func(t *testing.T) {
			_, _ = s.Run("nft", "flush", "ruleset")
			s.deleteRules(t)
			s.deleteRoutes(t)
			s.deleteGuards(t)
		}},
	} {
		t.Run(f.name, func(t *testing.T) {
			before := s.ours(t)
			s.phase(t, f.name, func() {
				f.do(t)
				s.restored(t, before)
			})
			s.Masquerade(t) // which a flushed ruleset has lost
			s.works(t, "after "+f.name)
		})
	}
	i.Down(t)
	s.open(t, "after down")
}

// ours is what the instance has told the host.
func (s *scene) ours(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, args := range []string{
		"-4 rule", "-6 rule", "-4 route show table all", "-6 route show table all", "addr show dev mh0",
	} {
		b.WriteString("== ip " + args + "\n" + s.IP(t, strings.Fields(args)...))
	}
	table, _ := s.Run("nft", "list", "table", "inet", "multihop-mh0") // may be gone
	b.WriteString(table)
	b.WriteString("src_valid_mark " + s.Must(t, "cat", "/proc/sys/net/ipv4/conf/all/src_valid_mark"))
	return b.String()
}

// restored waits until the instance has told the host everything again.
func (s *scene) restored(t *testing.T, want string) {
	t.Helper()
	start := time.Now()
	for {
		// What is looked at after the time is up was late.
		late := time.Since(start) > restoreTime
		got := s.ours(t)
		if got == want {
			if late {
				t.Errorf("restored after more than %v", restoreTime)
			}
			return
		}
		if time.Since(start) > 5*restoreTime {
			t.Errorf("not restored: want\n%s\ngot\n%s", want, got)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// deleteRules deletes every rule that is the instance's.
func (s *scene) deleteRules(t *testing.T) {
	t.Helper()
	for _, family := range []string{"-4", "-6"} {
		rules := s.lines(t, "proto 109", "ip", family, "-d", "rule")
		if len(rules) == 0 {
			t.Errorf("ip %s rule: none is the instance's", family)
		}
		for _, r := range rules {
			priority, _, _ := strings.Cut(r, ":")
			_, _ = s.Run("ip", family, "rule", "del", "priority", priority)
		}
	}
}

// deleteRoutes deletes the routes into the TUN.
func (s *scene) deleteRoutes(t *testing.T) { s.deleteWhere(t, "dev mh0 ") }

// deleteGuards deletes the routes behind them.
func (s *scene) deleteGuards(t *testing.T) { s.deleteWhere(t, "unreachable ") }

func (s *scene) deleteWhere(t *testing.T, what string) {
	t.Helper()
	for _, family := range []string{"-4", "-6"} {
		routes := s.lines(t, what, "ip", family, "route", "show", "table", "all", "proto", "109")
		if len(routes) == 0 {
			t.Errorf("ip %s route: none of protocol 109 with %q", family, what)
		}
		for _, r := range routes {
			_, _ = s.Run("ip", append([]string{family, "route", "del"}, strings.Fields(r)...)...)
		}
	}
}
