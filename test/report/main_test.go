package main

import (
	"strings"
	"testing"
)

const stream = `{"Action":"output","Package":"a","Test":"TestX","Output":"brokertest: rabbit 3.10.8: 60 behaviours\n"}
{"Action":"pass","Package":"a","Test":"TestX"}
{"Action":"output","Package":"a","Test":"TestY","Output":"y_test.go:1: wrong\n"}
{"Action":"fail","Package":"a","Test":"TestY"}
{"Action":"output","Package":"a","Output":"FAIL\ta\t1.0s\n"}
{"Action":"fail","Package":"a","Elapsed":1}
`

func TestReportShowsFailuresAndCounts(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := newReport(&out, "brokertest: rabbit")
	if err := r.read(strings.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	if err := r.finish(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"brokertest: rabbit 3.10.8: 60 behaviours\n", "y_test.go:1: wrong\n", "FAIL\ta\t1.0s\n", "\n1 passed, 1 failed, 0 skipped\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
}

func TestAMissingRequiredLineIsAFailure(t *testing.T) {
	t.Parallel()
	r := newReport(&strings.Builder{}, "brokertest: other")
	if err := r.read(strings.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	if r.finish() == nil {
		t.Error("finish found a line that is not there")
	}
}
