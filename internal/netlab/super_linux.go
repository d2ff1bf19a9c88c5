package netlab

import "fmt"

// LimitSuperPackets makes the kernel split what it has merged (GSO) into
// packets again before it leaves by the interface dev, if it is size bytes or
// more. A veth carries super-packets whole, which no cable does, and a relay
// behind it can get more datagrams at once than any network merges: wireguard-go
// takes 64, calls more an error, and ends its receive loop after ten.
func (h *Host) LimitSuperPackets(dev string, size int) {
	h.lab.tb.Helper()
	h.must(fmt.Sprintf("size of super-packets %s %d", dev, size), h.nl.LinkSetGSOMaxSize(h.link(dev), size))
}
