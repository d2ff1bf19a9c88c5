package conf

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"multihop/router"
)

// Strip writes what a hop's file says to wg(8), in the form that "wg setconf"
// reads, without the keys that only wg-quick(8) and multihop know. An empty name
// means the only hop. It writes private keys.
func (c *Instance) Strip(w io.Writer, hop string) error {
	var names []string
	for _, h := range c.Config.Hops {
		names = append(names, h.Name)
	}
	if hop == "" && len(names) > 1 {
		return fmt.Errorf("which hop? there are %s", strings.Join(names, ", "))
	}
	for _, h := range c.Config.Hops {
		if hop != "" && h.Name != hop {
			continue
		}
		if h.Via == "" {
			h.FwMark = c.Settings.FwMark
		}
		return strip(w, &h)
	}
	return fmt.Errorf("no hop is named %q: there are %s", hop, strings.Join(names, ", "))
}

func strip(w io.Writer, h *router.Hop) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "[Interface]\nPrivateKey = %s\n", h.PrivateKey.Encode())
	if h.ListenPort != 0 {
		fmt.Fprintf(b, "ListenPort = %d\n", h.ListenPort)
	}
	if h.FwMark != 0 {
		fmt.Fprintf(b, "FwMark = %#x\n", h.FwMark)
	}
	for _, p := range h.Peers {
		fmt.Fprintf(b, "\n[Peer]\nPublicKey = %s\n", p.PublicKey.Encode())
		if !p.PresharedKey.IsZero() {
			fmt.Fprintf(b, "PresharedKey = %s\n", p.PresharedKey.Encode())
		}
		if p.Endpoint != "" {
			fmt.Fprintf(b, "Endpoint = %s\n", p.Endpoint)
		}
		if len(p.AllowedIPs) > 0 {
			fmt.Fprintf(b, "AllowedIPs = %s\n", joinPrefixes(p.AllowedIPs))
		}
		if p.Keepalive > 0 {
			fmt.Fprintf(b, "PersistentKeepalive = %d\n", p.Keepalive/time.Second)
		}
	}
	return b.Flush()
}

func joinPrefixes(prefixes []netip.Prefix) string {
	var b strings.Builder
	for i, p := range prefixes {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.String())
	}
	return b.String()
}
