package udp_test

import (
	"net"
	"testing"

	"golang.zx2c4.com/wireguard/conn"
)

// BenchmarkTransfer moves batches over the loopback, and reports the time of a
// datagram: sent, and received. Run both binds in one run:
//
//	go test ./internal/udp -run '^$' -bench Transfer -count 7
func BenchmarkTransfer(b *testing.B) {
	for _, size := range []struct {
		name  string
		sizes []int
	}{
		{"bulk", same(128, 1452)},
		{"small", same(128, 96)},
		{"mixed", mixed()},
		{"single", same(1, 1452)},
	} {
		for name, make := range makers() {
			b.Run(size.name+"/"+name, func(b *testing.B) { transfer(b, make, size.sizes) })
		}
	}
}

// mixed are sizes of which no two in a row can be joined.
func mixed() []int {
	sizes := same(128, 100)
	for i := range sizes {
		sizes[i] += i * 8
	}
	return sizes
}

func transfer(b *testing.B, make func() conn.Bind, sizes []int) {
	from, to := make(), make()
	if _, _, err := from.Open(0); err != nil {
		b.Fatal(err)
	}
	defer from.Close()
	fns, port, err := to.Open(0)
	if err != nil {
		b.Fatal(err)
	}
	ep, err := from.ParseEndpoint((&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)}).String())
	if err != nil {
		b.Fatal(err)
	}
	bufs, got, eps := buffers(to.BatchSize())
	batch, _, _ := buffers(len(sizes)) // whole buffers: wireguard-go's bind joins in them
	for b.Loop() {
		for i, n := range sizes {
			batch[i] = batch[i][:n]
		}
		if err := from.Send(batch, ep); err != nil {
			b.Fatal(err)
		}
		for left := len(sizes); left > 0; {
			n, err := fns[0](bufs, got, eps)
			if err != nil {
				b.Fatal(err)
			}
			left -= n
		}
	}
	b.StopTimer()
	_ = to.Close()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(sizes)), "ns/datagram")
	b.ReportMetric(0, "ns/op")
}
