import type { ComponentChildren } from "preact";
import { Icon } from "../ui/icon.tsx";

/** A control with its name above, and below what it is for and what is wrong with what it holds. */
export interface FieldProps {
  id: string;
  /** Absent where the control shows it itself. */
  title?: ComponentChildren;
  doc?: string;
  problem?: string | undefined;
  children: ComponentChildren;
}

export function FieldFrame({ id, title, doc, problem, children }: FieldProps) {
  return (
    <div class="field" id={fieldId(id)}>
      {title && (
        <div class="field-title" aria-hidden="true">
          {title}
        </div>
      )}
      {children}
      {doc && (
        <p class="field-doc" id={docId(id)}>
          {doc}
        </p>
      )}
      <p class="field-problem" id={problemId(id)} role="status">
        {problem && (
          <>
            <Icon name="error" />
            <span>{problem}</span>
          </>
        )}
      </p>
    </div>
  );
}

/** Of the element around a field and what belongs to it. */
export function fieldId(id: string): string {
  return `${id}-field`;
}

function docId(id: string): string {
  return `${id}-doc`;
}

function problemId(id: string): string {
  return `${id}-problem`;
}

/** The elements that describe a field's control. */
export function describers(id: string, doc: string | undefined): string[] {
  return doc ? [docId(id), problemId(id)] : [problemId(id)];
}
