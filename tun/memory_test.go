package tun

import (
	"bytes"
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// packets returns n packets of size bytes; the first says which it is.
func packets(n, size int) [][]byte {
	pkts := make([][]byte, n)
	for i := range pkts {
		pkts[i] = bytes.Repeat([]byte{byte(i)}, size)
	}
	return pkts
}

// buffers returns n buffers of size bytes, and their sizes.
func buffers(n, size int) ([][]byte, []int) {
	bufs := make([][]byte, n)
	for i := range bufs {
		bufs[i] = make([]byte, size)
	}
	return bufs, make([]int, n)
}

func TestMemoryDefaults(t *testing.T) {
	m := NewMemory(nil)
	name, _ := m.Name()
	mtu, _ := m.MTU()
	if name != "memory" || mtu != 1420 || m.BatchSize() != 128 || m.File() != nil {
		t.Fatalf("%s %d %d %v", name, mtu, m.BatchSize(), m.File())
	}
	m = NewMemory(&MemoryOptions{Name: "x", MTU: 1280, Batch: 4})
	name, _ = m.Name()
	mtu, _ = m.MTU()
	if name != "x" || mtu != 1280 || m.BatchSize() != 4 {
		t.Fatalf("%s %d %d", name, mtu, m.BatchSize())
	}
}

// TestMemoryOrder: both directions keep order and content, whatever the offset
// and the sizes of the batches.
func TestMemoryOrder(t *testing.T) {
	defer goleak.VerifyNone(t)
	const total = 100
	m := NewMemory(&MemoryOptions{Slots: total})
	defer m.Close()
	pkts := packets(total, 60)

	if n := m.Inject(pkts); n != total {
		t.Fatalf("%d of %d injected", n, total)
	}
	bufs, sizes := buffers(7, 16+60)
	for i := 0; i < total; {
		n, err := m.Read(bufs, sizes, 16)
		if err != nil {
			t.Fatal(err)
		}
		for j := range n {
			if got := bufs[j][16 : 16+sizes[j]]; !bytes.Equal(got, pkts[i]) {
				t.Fatalf("packet %d is % x", i, got[:4])
			}
			i++
		}
	}

	written := make([][]byte, total)
	for i := range written {
		written[i] = append(make([]byte, 10), pkts[i]...)
	}
	for i := 0; i < total; i += 25 {
		if n, err := m.Write(written[i:i+25], 10); n != 25 || err != nil {
			t.Fatal(n, err)
		}
	}
	for i := 0; i < total; {
		n, err := m.ReadPackets(t.Context(), bufs, sizes)
		if err != nil {
			t.Fatal(err)
		}
		for j := range n {
			if got := bufs[j][:sizes[j]]; !bytes.Equal(got, pkts[i]) {
				t.Fatalf("packet %d is % x", i, got[:4])
			}
			i++
		}
	}
	if d := m.Drops(); d != (Drops{}) {
		t.Fatalf("drops %+v", d)
	}
}

func TestMemoryDrops(t *testing.T) {
	defer goleak.VerifyNone(t)
	m := NewMemory(&MemoryOptions{Slots: 10})
	if n := m.Inject(packets(25, 40)); n != 10 {
		t.Fatalf("%d fitted into 10 slots", n)
	}
	if n, err := m.Write(packets(14, 40), 0); n != 14 || err != nil {
		t.Fatalf("Write = %d, %v: it must take all", n, err)
	}
	if n, err := m.Write([][]byte{{}, nil}, 0); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if d := m.Drops(); d != (Drops{Read: 15, Write: 6}) {
		t.Fatalf("drops %+v", d)
	}

	// The first is larger than the buffers, the ones behind it are not.
	m = NewMemory(nil)
	m.Inject([][]byte{make([]byte, 100), make([]byte, 50)})
	bufs, sizes := buffers(4, 50)
	if n, err := m.Read(bufs, sizes, 0); n != 1 || sizes[0] != 50 || err != nil {
		t.Fatal(n, sizes[0], err)
	}
	m.Inject(packets(3, 40))
	m.Close()
	if d := m.Drops(); d.Read != 1+3 {
		t.Fatalf("drops %+v: want the large one and those queued at Close", d)
	}
}

func TestMemoryClose(t *testing.T) {
	defer goleak.VerifyNone(t)
	m := NewMemory(nil)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			bufs, sizes := buffers(1, 100)
			if _, err := m.Read(bufs, sizes, 0); !errors.Is(err, os.ErrClosed) {
				t.Errorf("Read: %v", err)
			}
		})
		wg.Go(func() {
			bufs, sizes := buffers(1, 100)
			if _, err := m.ReadPackets(t.Context(), bufs, sizes); !errors.Is(err, os.ErrClosed) {
				t.Errorf("ReadPackets: %v", err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond) // until they wait
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if _, open := <-m.Events(); open {
		t.Fatal("Events is open")
	}
	if n := m.Inject(packets(1, 40)); n != 0 {
		t.Fatal("injected into a closed device")
	}
	if _, err := m.Write(packets(1, 40), 0); !errors.Is(err, os.ErrClosed) {
		t.Fatalf("Write: %v", err)
	}
}

func TestMemoryReadPacketsContext(t *testing.T) {
	m := NewMemory(nil)
	defer m.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	bufs, sizes := buffers(1, 100)
	if _, err := m.ReadPackets(ctx, bufs, sizes); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

// TestMemoryConcurrent: with many writers and readers every packet arrives
// once, or is counted, and no reader sleeps while packets wait.
func TestMemoryConcurrent(t *testing.T) {
	defer goleak.VerifyNone(t)
	const writers, batches, per = 4, 500, 8
	m := NewMemory(&MemoryOptions{Slots: 64})
	got := make(chan int, 3)
	for range cap(got) {
		go func() {
			bufs, sizes := buffers(5, 64)
			sum := 0
			for {
				n, err := m.Read(bufs, sizes, 0)
				if err != nil {
					got <- sum
					return
				}
				sum += n
			}
		}()
	}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			pkts := packets(per, 40)
			for range batches {
				m.Inject(pkts)
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		m.in.mu.Lock()
		waiting := m.in.n
		m.in.mu.Unlock()
		if waiting == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d packets wait and no reader wakes", waiting)
		}
	}
	m.Close()
	sum := uint64(0)
	for range cap(got) {
		sum += uint64(<-got)
	}
	if sum += m.Drops().Read; sum != writers*batches*per {
		t.Fatalf("read and dropped %d of %d", sum, writers*batches*per)
	}
}

func TestMemoryAllocs(t *testing.T) {
	const batch = 32
	m := NewMemory(&MemoryOptions{Slots: 64})
	defer m.Close()
	pkts := packets(batch, 1400)
	bufs, sizes := buffers(batch, 1500)
	cycle := func() {
		if m.Inject(pkts) != batch {
			t.Fatal("drop")
		}
		if n, err := m.Read(bufs, sizes, 16); n != batch || err != nil {
			t.Fatal(n, err)
		}
		if _, err := m.Write(pkts, 0); err != nil {
			t.Fatal(err)
		}
		if n, err := m.ReadPackets(context.Background(), bufs, sizes); n != batch || err != nil {
			t.Fatal(n, err)
		}
	}
	cycle()
	cycle() // every slot has its array now
	if n := testing.AllocsPerRun(100, cycle); n != 0 {
		t.Fatalf("%v allocations in a cycle of %d packets", n, 2*batch)
	}
}

func BenchmarkMemory(b *testing.B) {
	const batch = 128
	m := NewMemory(nil)
	defer m.Close()
	pkts := packets(batch, 1400)
	bufs, sizes := buffers(batch, 1500)
	b.ReportAllocs()
	for b.Loop() {
		m.Inject(pkts)
		if _, err := m.Read(bufs, sizes, 16); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/packet")
}
