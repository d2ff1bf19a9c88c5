package host

import (
	"strings"
	"testing"
	"time"
)

// What others undo between Apply and Watch, of which no event tells, is restored
// when Watch begins; the routes follow the LAN that came meanwhile; and changed is
// called, since the way to the endpoints may be another.
func TestWatchBegins(t *testing.T) {
	for _, change := range []string{
		"ip -4 rule del priority 3201",
		"ip -4 route flush table 52820",
		"ip addr del 10.64.0.2/32 dev mh0",
		"echo 0 > /proc/sys/net/ipv4/conf/all/src_valid_mark",
		"ip addr add 192.168.7.2/24 dev eth0",
	} {
		t.Run(change, func(t *testing.T) {
			needTools(t)
			newHost(t)
			h := openHost(t, t.TempDir())
			apply(t, h, fullConfig())
			was := told(t)
			run(t, change)
			if told(t) == was {
				t.Fatal("detector: nothing changed")
			}
			calls := watch(t, h)
			if strings.HasPrefix(change, "ip addr add") {
				run(t, "sleep 1")
				if !strings.Contains(told(t), "throw 192.168.7.0/24 table 52820") {
					t.Error("the routes have not followed the LAN")
				}
			} else {
				backWithin(t, time.Second, was)
			}
			time.Sleep(time.Second)
			if n := calls.Load(); n < 1 || n > 2 {
				t.Errorf("changed was called %d times", n)
			}
		})
	}
}
