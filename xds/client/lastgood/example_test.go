package lastgood_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/warrenmesh/warren/xds/client/lastgood"
)

func Example() {
	dir, err := os.MkdirTemp("", "lastgood")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "last-good.json")
	err = lastgood.Write(path, &lastgood.Content{Format: lastgood.Format, Topics: []string{"shop/orders"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := lastgood.Read(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Topics)
	// Output: [shop/orders]
}
