package control

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"

	"multihop/router"
)

// A Source is what is asked: a *router.Router. Its methods must be safe for
// concurrent use.
type Source interface {
	Status() router.Status
	Explain(router.Flow) router.Explanation
}

var _ Source = (*router.Router)(nil)

// A problem is the body of every answer that is an error.
type problem struct {
	Error string `json:"error"`
}

// NewHandler answers for s.
func NewHandler(s Source) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, s.Status())
	})
	mux.HandleFunc("GET /route", func(w http.ResponseWriter, req *http.Request) {
		dst, err := netip.ParseAddr(req.URL.Query().Get("dst"))
		if err != nil {
			answer(w, http.StatusBadRequest, problem{fmt.Sprintf("dst: %v", err)})
			return
		}
		answer(w, http.StatusOK, s.Explain(router.Flow{Dst: dst.Unmap()}))
	})
	return mux
}

func answer(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, `{"error":"answer cannot be encoded"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}
