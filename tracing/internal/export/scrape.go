package export

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// maxScrapes bounds scrapes at one time: the port is open to the network, and each
// scrape holds all series in memory. One too many is answered 503.
const maxScrapes = 3

// Scrape returns the reader that a scrape by Prometheus collects from, and the scrape.
// What is missing from a scrape goes to log. The registry is its own: nothing other
// libraries register gets in.
func Scrape(log *slog.Logger) (sdkmetric.Reader, http.Handler, error) {
	registry := prometheus.NewRegistry()
	reader, err := otelprom.New(
		otelprom.WithRegisterer(registry),
		otelprom.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes))
	if err == nil {
		// CPU, resident memory, file descriptors and start time of the process.
		err = registry.Register(prometheus.NewProcessCollector(prometheus.ProcessCollectorOpts{})) //nolint:staticcheck // its successor links database/sql
	}
	if err != nil {
		return nil, nil, fmt.Errorf("set up exporter %q: %w", "prometheus", err)
	}
	return reader, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true, // exemplars exist in no other format
		DisableCompression:  true, // a compressor takes a megabyte to save some kilobytes
		ErrorHandling:       promhttp.ContinueOnError,
		ErrorLog:            scrapeLog{log},
		MaxRequestsInFlight: maxScrapes,
	}), nil
}

// scrapeLog passes what promhttp has to say on.
type scrapeLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) { l.log.Warn("scrape is not complete", "error", fmt.Sprint(v...)) }
