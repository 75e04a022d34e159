// Package jaeger tests what a user of Jaeger sees of Warren, with a real Jaeger.
//
// It owns nothing but tests, and has the build tag jaeger, because a machine
// without Jaeger builds one first: about three minutes, once. `make test-jaeger`
// runs them; hack/jaeger/jaeger.sh says where its Jaeger comes from.
//
//	go test -tags jaeger ./test/jaeger
package jaeger
