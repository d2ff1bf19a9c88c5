package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"multihop/internal/control"
	"multihop/router"
)

// writeStatus prints s as "wg show" would: a block for the TUN, then per hop
// one for itself and one for each peer.
func writeStatus(w io.Writer, s control.Status, now time.Time) error {
	b := &blocks{}
	b.open("tun", s.TUN)
	b.line("profile", s.Profile)
	b.line("addresses", orNone(join(s.Addrs)))
	b.line("mtu", fmt.Sprint(s.MTU))
	b.line("packets", fmt.Sprintf("%d read, %d written", s.Read, s.Wrote))
	b.line("drops", drops(s.Drops))
	b.host(&s.Host)
	for _, g := range s.Groups {
		b.group(g, s.OnDown, now)
	}
	for _, h := range s.Hops {
		b.hop(h, s.OnDown, now)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// blocks builds "key: value" lines in blocks with a blank line between.
type blocks struct{ strings.Builder }

func (b *blocks) open(key, value string) {
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	fmt.Fprintf(b, "%s: %s\n", key, value)
}

// line adds a line, unless it has no value.
func (b *blocks) line(key, value string) {
	if value != "" {
		fmt.Fprintf(b, "  %s: %s\n", key, value)
	}
}

// host says what the operating system was told.
func (b *blocks) host(h *control.Host) {
	b.line("namespace", h.Netns)
	b.line("table", h.Table)
	if h.Mark != 0 {
		b.line("fwmark", fmt.Sprintf("%#x", h.Mark))
	}
	b.line("kill switch", onOff(h.KillSwitch))
	if h.KillSwitch || h.Mark != 0 {
		lan := "allowed"
		if !h.LAN {
			lan = "denied"
		}
		b.line("lan", lan)
	}
	b.line("ipv6", h.IPv6)
	b.line("excluded", join(h.Exclude))
	var dns []string
	for _, r := range h.DNS {
		text := r.Addr.String()
		if r.Hop != "" {
			text += " via " + r.Hop
		}
		dns = append(dns, text)
	}
	b.line("dns", strings.Join(append(dns, h.Search...), ", "))
	for _, w := range h.Warnings {
		b.line("warning", w)
	}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (b *blocks) hop(h router.HopStatus, down []router.OnDownStatus, now time.Time) {
	b.open("hop", h.Name)
	b.line("public key", h.PublicKey)
	b.line("private key", "(hidden)")
	if h.ListenPort != 0 {
		b.line("listening port", fmt.Sprint(h.ListenPort))
	}
	carrier := h.Via
	switch {
	case carrier == "":
		carrier = hostNetwork
	case h.ViaGroup != "":
		carrier += " (of group " + h.ViaGroup + ")"
	}
	b.line("carrier", carrier)
	b.line("state", upOrDown(h.Down, h.Reason))
	b.line("on down", onDown(h.Name, down))
	b.line("addresses", orNone(join(h.Addrs)))
	b.line("mtu", fmt.Sprint(h.MTU))
	if h.Fragments > 0 {
		b.line("fragments", fragmentCost(h.Fragments, h.Via))
	}
	b.line("packets", fmt.Sprintf("%d in, %d out", h.In, h.Out))
	b.line("drops", drops(h.Drops))
	for _, p := range h.Peers {
		b.peer(p, now)
	}
}

func (b *blocks) peer(p router.PeerStatus, now time.Time) {
	b.open("peer", p.PublicKey)
	if p.Preshared {
		b.line("preshared key", "(hidden)")
	}
	b.line("endpoint", endpointOf(p))
	b.line("allowed ips", orNone(join(p.AllowedIPs)))
	if !p.LatestHandshake.IsZero() {
		b.line("latest handshake", ago(p.LatestHandshake, now))
	}
	if p.RxBytes > 0 || p.TxBytes > 0 {
		b.line("transfer", fmt.Sprintf("%s received, %s sent", size(p.RxBytes), size(p.TxBytes)))
	}
	if p.Keepalive > 0 {
		b.line("persistent keepalive", "every "+period(p.Keepalive))
	}
}

// endpointOf returns where a peer is, with its name if it has one.
func endpointOf(p router.PeerStatus) string {
	switch {
	case p.EndpointName == "":
		return p.Endpoint
	case p.Endpoint == "" && p.EndpointError != "":
		return fmt.Sprintf("(%s: %s)", p.EndpointName, p.EndpointError)
	case p.Endpoint == "":
		return fmt.Sprintf("(%s, not looked up yet)", p.EndpointName)
	}
	return fmt.Sprintf("%s (%s)", p.Endpoint, p.EndpointName)
}

func upOrDown(down bool, reason string) string {
	switch {
	case !down:
		return "up"
	case reason == "":
		return "down"
	}
	return "down: " + reason
}

// drops lists what was dropped by reason, sorted; "" for nothing.
func drops(counts map[string]uint64) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[name]; n > 0 {
			out = append(out, fmt.Sprintf("%s %d", name, n))
		}
	}
	return strings.Join(out, ", ")
}

// ago returns a handshake's age in wg's words.
func ago(t, now time.Time) string {
	switch d := now.Unix() - t.Unix(); {
	case d < 0:
		return "(System clock wound backward; connection problems may ensue.)"
	case d == 0:
		return "Now"
	default:
		return period(time.Duration(d)*time.Second) + " ago"
	}
}

// period returns a duration in wg's words: "1 minute, 4 seconds". A year has
// 365 days.
func period(d time.Duration) string {
	left := int64(d / time.Second)
	units := []struct {
		name    string
		seconds int64
	}{{"year", 365 * 24 * 3600}, {"day", 24 * 3600}, {"hour", 3600}, {"minute", 60}, {"second", 1}}
	var out []string
	for _, u := range units {
		n := left / u.seconds
		left %= u.seconds
		switch {
		case n == 1:
			out = append(out, "1 "+u.name)
		case n > 1:
			out = append(out, fmt.Sprintf("%d %ss", n, u.name))
		}
	}
	if len(out) == 0 {
		return "0 seconds"
	}
	return strings.Join(out, ", ")
}

// size returns a number of bytes in wg's words: "1.21 MiB".
func size(n uint64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.2f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20))
	case n < 1<<40:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.2f TiB", float64(n)/(1<<40))
}
