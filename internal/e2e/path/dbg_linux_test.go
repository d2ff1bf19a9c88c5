package path_test
import ("testing";"os")
func dbg(t *testing.T, c *chain){
	if s,err:=c.Status();err==nil { t.Logf("%+v",s) }
	for _,h:=range []interface{ Do(func() error) error }{c.Client,c.Entry,c.Near,c.direct.target,c.Exit,c.Far,c.inner.target}{
		h.Do(func() error { b,_:=os.ReadFile("/proc/thread-self/net/snmp6"); t.Log(string(b)); b,_=os.ReadFile("/proc/thread-self/net/stat/ndisc_cache"); t.Log(string(b)); return nil})
	}
}
