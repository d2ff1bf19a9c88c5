package netlab

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

// A Flow is the packets between two ends, in both directions. Captures leave
// flows out.
type Flow struct {
	Proto uint8          // 0: any
	A, B  netip.AddrPort // port 0: any; a zero A: any address
}

// UDPFlow is the datagrams between the address a and the endpoint b.
func UDPFlow(a netip.Addr, b netip.AddrPort) Flow {
	return Flow{Proto: ProtoUDP, A: netip.AddrPortFrom(a, 0), B: b}
}

// HostFlow is every packet between the addresses a and b.
func HostFlow(a, b netip.Addr) Flow {
	return Flow{A: netip.AddrPortFrom(a, 0), B: netip.AddrPortFrom(b, 0)}
}

// accepted is what the filter returns for a packet that the capture gets.
const accepted = 1 << 18

// without compiles a kernel filter that drops packets of flows and accepts all
// others. The packets begin at the network header. In the kernel, because a
// capture of a fast transfer that is to see one stray packet must not lose it
// among a million expected ones.
func without(flows []Flow) ([]bpf.RawInstruction, error) {
	var prog []bpf.Instruction
	for _, f := range flows {
		prog = append(prog, oneWay(f.Proto, f.A, f.B)...)
		prog = append(prog, oneWay(f.Proto, f.B, f.A)...)
	}
	return bpf.Assemble(append(prog, bpf.RetConstant{Val: accepted}))
}

// oneWay returns instructions that drop packets from src to dst and fall
// through on others.
func oneWay(proto uint8, src, dst netip.AddrPort) []bpf.Instruction {
	var w way
	if dst.Addr().Is4() || src.Addr().Is4() {
		w.want(bpf.LoadAbsolute{Off: 0, Size: 1}, 0xf0, 0x40)
		w.addr(12, src.Addr())
		w.addr(16, dst.Addr())
		if proto != 0 {
			w.want(bpf.LoadAbsolute{Off: 9, Size: 1}, 0xff, uint32(proto))
		}
		if src.Port() != 0 || dst.Port() != 0 {
			w.want(bpf.LoadAbsolute{Off: 6, Size: 2}, 0x1fff, 0) // ports are in first fragments
			w.prog = append(w.prog, bpf.LoadMemShift{Off: 0})    // X = header length
			w.port(bpf.LoadIndirect{Off: 0, Size: 2}, src.Port())
			w.port(bpf.LoadIndirect{Off: 2, Size: 2}, dst.Port())
		}
	} else {
		w.want(bpf.LoadAbsolute{Off: 0, Size: 1}, 0xf0, 0x60)
		w.addr(8, src.Addr())
		w.addr(24, dst.Addr())
		if proto != 0 {
			w.want(bpf.LoadAbsolute{Off: 6, Size: 1}, 0xff, uint32(proto))
		}
		w.port(bpf.LoadAbsolute{Off: 40, Size: 2}, src.Port())
		w.port(bpf.LoadAbsolute{Off: 42, Size: 2}, dst.Port())
	}
	return w.drop()
}

// A way is a chain of conditions.
type way struct {
	prog  []bpf.Instruction
	tests []int // indices of the jumps, which leave the chain
}

// want loads a value and leaves the chain unless, masked, it is v.
func (w *way) want(load bpf.Instruction, mask, v uint32) {
	w.prog = append(w.prog, load)
	if mask != 0xffffffff {
		w.prog = append(w.prog, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask})
	}
	w.tests = append(w.tests, len(w.prog))
	w.prog = append(w.prog, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: v})
}

func (w *way) addr(off uint32, a netip.Addr) {
	b := a.AsSlice() // none: any address
	for ; len(b) > 0; b, off = b[4:], off+4 {
		w.want(bpf.LoadAbsolute{Off: off, Size: 4}, 0xffffffff, binary.BigEndian.Uint32(b))
	}
}

func (w *way) port(load bpf.Instruction, port uint16) {
	if port != 0 {
		w.want(load, 0xffffffff, uint32(port))
	}
}

// drop ends the chain: who came so far is dropped.
func (w *way) drop() []bpf.Instruction {
	w.prog = append(w.prog, bpf.RetConstant{Val: 0})
	for _, i := range w.tests {
		j := w.prog[i].(bpf.JumpIf)
		j.SkipTrue = uint8(len(w.prog) - i - 1)
		w.prog[i] = j
	}
	return w.prog
}
