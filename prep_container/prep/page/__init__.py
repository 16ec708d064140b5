"""What report.html shows, worked out as plain values: words, charts and thumbnails. The template only lays them out."""
