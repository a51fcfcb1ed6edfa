"""What is sold: products, variants, categories, texts, media and append-only prices."""
