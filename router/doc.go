// Package router carries IP packets of one TUN device through any tree of
// WireGuard tunnels, per route.
//
// A hop is one tunnel: a wireguard-go device between two seams. Its port is
// the tun.Device that wireguard-go reads clear packets from and writes them
// to. Its bind is the conn.Bind that carries its datagrams: a UDP socket for a
// hop on the host's network, or a link, which is a UDP socket inside the
// tunnel of the hop's carrier.
//
//	out: TUN.Read ─parse─LPM─SNAT─▶ port.in ─Read─▶ device(exit) ─Send─▶ link
//	     ─IP+UDP─▶ port.in ─Read─▶ device(entry) ─Send─▶ UDP
//	in:  UDP ─▶ device(entry) ─▶ port.Write ─demux─▶ link.rx ─▶ device(exit)
//	     ─▶ port.Write ─reverse path─DNAT─▶ TUN.Write (same buffers)
//
// Read forward.go for the way out and port.go and inbound.go for the way in;
// then link.go, window.go (what bounds memory), table.go (routes), apply.go and
// change.go (how the configuration changes under traffic), names.go (endpoints
// that are names), failover.go (groups),
// renew.go (handshakes that a carrier lost).
//
// # Goroutines
//
// Ours are few: the TUN reader inside Run, one writer of synthesised packets,
// one that polls and supervises the devices, one that delivers events; and short
// ones for what may have to wait for a device or a resolver: polls, probes,
// look-ups. All else runs on wireguard-go's goroutines, inside port.Read,
// port.Write, link.Send and the receive functions.
//
// # Routes
//
// Compile makes a table of all prefixes: each leads to a rule, which many
// prefixes share. A rule names a hop, or a group of which one hop serves, and
// what happens while that is down. Apply swaps the whole table by one pointer, a
// group that fails over swaps the pointer to its hop, and both directions ask the
// same table: out, which hop a destination has; in, whether the hop that a packet
// came through has its source. A hop that is down keeps its prefixes: they reject,
// drop or take the explicit fallback, and never the next shorter prefix.
//
// # Who may wait
//
// The TUN reader waits for a hop's ring for at most 100 ms, and link.Send for
// the carrier's ring for at most 20 ms; both drop then. Nothing that carries
// inbound packets ever waits for outbound ones. Handshakes have a lane of their
// own and never wait. This matters because wireguard-go holds locks across
// Bind.Send that Close, BindUpdate and UAPI need.
//
// # Buffers
//
// A packet read from the TUN is translated in the reader's buffer and copied
// into a slot of the hop's ring; port.Read copies it to wireguard-go's buffer.
// link.Send writes the datagram with its IP and UDP header straight into the
// carrier's ring. Inbound packets are translated in wireguard-go's buffer and
// written to the TUN from there: they are valid until port.Write returns.
package router
