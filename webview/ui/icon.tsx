/** A codicon. With a label it is an image of that name, without it is decoration. */
export function Icon({ name, label, tone }: { name: string; label?: string; tone?: "ok" | "error" | "warning" }) {
  const classes = `codicon codicon-${name}${tone ? ` tone-${tone}` : ""}`;
  return label ? <span class={classes} role="img" aria-label={label} /> : <span class={classes} aria-hidden="true" />;
}
