package firewall

import (
	"fmt"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func accept() term { return verdict("accept", expr.VerdictAccept) }
func drop() term   { return verdict("drop", expr.VerdictDrop) }

// returns goes on after the jump to this chain.
func returns() term { return verdict("return", expr.VerdictReturn) }

func verdict(text string, kind expr.VerdictKind) term {
	return term{text: text, exprs: []expr.Any{&expr.Verdict{Kind: kind}}}
}

func jump(to string) term {
	return term{text: "jump " + to, exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: to}}}
}

// reject drops a packet and tells its sender, by ICMP of the packet's family.
func reject() term {
	return term{
		text: "reject with icmpx admin-prohibited",
		exprs: []expr.Any{&expr.Reject{
			Type: unix.NFT_REJECT_ICMPX_UNREACH,
			Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED,
		}},
	}
}

// setMark marks a packet, setCtMark its connection.
func setMark(m uint32) term {
	return term{
		text: fmt.Sprintf("meta mark set 0x%08x", m),
		exprs: []expr.Any{
			&expr.Immediate{Register: reg, Data: native(m)},
			&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: reg},
		},
	}
}

func setCtMark(m uint32) term {
	return term{
		text: fmt.Sprintf("ct mark set 0x%08x", m),
		exprs: []expr.Any{
			&expr.Immediate{Register: reg, Data: native(m)},
			&expr.Ct{Key: expr.CtKeyMARK, SourceRegister: true, Register: reg},
		},
	}
}
